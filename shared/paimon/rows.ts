/**
 * How the three containers of manifests (Avro, ORC, Parquet) hand over their rows: flat slots, one per wanted column, in
 * the order asked for. `_FILE._FILE_SIZE` names a nested column. A missing or null column gives null.
 *
 * Values: int and boolean as such; long as number, or bigint beyond 2^53; strings; bytes, perhaps a view that lives
 * only until the callback returns, and the same object as in the row before only where the bytes are the same; arrays as
 * arrays; records as Maps.
 */
export type Slots = Cell[];
export type Cell = null | number | bigint | boolean | string | RawText | Uint8Array | Cell[] | RecordCell;
export type RecordCell = Map<string, Cell>;

/** UTF-8 in place, for texts of which most are never looked at. Lives until the callback returns, and is used again. */
export class RawText {
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;

  toString(): string {
    return this.bytes.toString('utf8', this.start, this.end);
  }
}

/** Called once a row; the array is reused. */
export type OnRow = (slots: Slots) => void;

/** What a container was found to be, for people. */
export interface ContainerInfo {
  format: 'avro' | 'orc' | 'parquet';
  codec: string;
  rows: number;
}
