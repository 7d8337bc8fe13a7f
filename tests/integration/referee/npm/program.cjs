// A program as any user of the broker's official Node SDK writes it: real hosts, nothing replaced.
// Prints what it was told, one JSON object a line.
//
// Usage: node program.cjs KEY... with ACCESS_TOKEN in the environment.
"use strict";

const { createRequire } = require("module");
const sdk = createRequire(`${process.cwd()}/`)("upstox-js-sdk");

const MODES = ["ltpc", "option_greeks", "full", "full_d30"];
const keys = process.argv.slice(2);

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

function lastPrices() {
  return new Promise((resolve, reject) => {
    new sdk.MarketQuoteV3Api().getLtp({ instrumentKey: keys.join(",") }, (error, answer) =>
      error ? reject(error) : resolve(answer.data),
    );
  });
}

// The market's state, the snapshot and the first update, as the SDK decodes them.
function frames(mode) {
  return new Promise((resolve, reject) => {
    const streamer = new sdk.MarketDataStreamerV3(keys, mode);
    const told = [];
    streamer.autoReconnect(false);
    streamer.on("error", reject);
    streamer.on("message", (data) => {
      told.push(JSON.parse(data.toString("utf-8")));
      if (told.length > 1 && told.at(-1).type === "live_feed") {
        streamer.disconnect();
        resolve(told);
      }
    });
    streamer.connect();
  });
}

async function main() {
  sdk.ApiClient.instance.authentications["OAUTH2"].accessToken = process.env.ACCESS_TOKEN;
  const prices = Object.values(await lastPrices());
  say({ lastPrices: prices.map((quote) => [quote.instrumentToken, quote.lastPrice]) });
  for (const mode of MODES) {
    say({ mode, frames: await frames(mode) });
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
