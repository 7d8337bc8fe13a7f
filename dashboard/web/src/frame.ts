// Reading the binary frame of the live feed (docs/live-feed.md). The sections start on 8-byte
// borders, so columns are views of the message: nothing is copied.

export interface Table {
  name: string;
  ids: Float64Array;
  columns: ReadonlyMap<string, Float64Array>;
}

export interface Frame {
  sequence: number;
  sentAtMs: number;
  tables: Table[];
}

interface Header {
  v: number;
  sequence: number;
  sent_at_ms: number;
  tables: { name: string; rows: number; columns: string[] }[];
}

export const VERSION = 1;

const text = new TextDecoder();

export function decode(message: ArrayBuffer): Frame {
  const length = new DataView(message).getUint32(0, true);
  const header = JSON.parse(text.decode(new Uint8Array(message, 4, length))) as Header;
  if (header.v !== VERSION) {
    throw new Error(`live frame version ${header.v}, expected ${VERSION}: reload the page`);
  }
  let offset = 4 + length;
  const section = (rows: number): Float64Array => {
    const view = new Float64Array(message, offset, rows);
    offset += 8 * rows;
    return view;
  };
  const tables = header.tables.map(({ name, rows, columns }) => {
    const ids = section(rows);
    return { name, ids, columns: new Map(columns.map((column) => [column, section(rows)])) };
  });
  return { sequence: header.sequence, sentAtMs: header.sent_at_ms, tables };
}
