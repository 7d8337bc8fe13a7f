// Leads https and wss through the proxy that HTTPS_PROXY names: this version of Node reads it from
// nowhere by itself. Loaded before the program (node --require), which stays as it is.
"use strict";

const http = require("http");
const https = require("https");
const tls = require("tls");

const proxy = new URL(process.env.HTTPS_PROXY);

class Tunnel extends https.Agent {
  createConnection(options, done) {
    const path = `${options.host}:${options.port}`;
    http
      .request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path })
      .once("error", done)
      .once("connect", (answer, socket) => {
        if (answer.statusCode === 200) {
          done(null, tls.connect({ ...options, socket, servername: options.host }));
        } else {
          done(new Error(`the proxy answered ${answer.statusCode}`));
        }
      })
      .end();
  }
}

const agent = new Tunnel({ keepAlive: false });
const request = https.request;
https.request = (options, ...more) =>
  request({ ...options, agent, createConnection: undefined }, ...more);
