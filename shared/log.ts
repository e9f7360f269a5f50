import { Secret } from './credentials/secret.ts';
import { DatamapError } from './errors.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Record<string, unknown>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with fields that every line carries. */
  child(fields: LogFields): Log;
}

const order: Record<LogLevel, number> = { debug: 10, info: 20, warn: 30, error: 40 };
const secretName = /secret|password|token|authorization|signature|credential|accesskeyid/i;
/** Longer values are cut: the log service takes 32 KB a line. */
const MAX_VALUE_CHARS = 4_000;

/** One JSON object a line to `write`. Values under secret-looking names and Secret values print as `***`. */
export function createLog(options: { level?: LogLevel; fields?: LogFields; write?: (line: string) => void } = {}): Log {
  const { level = 'info', fields = {}, write = (line) => process.stdout.write(`${line}\n`) } = options;
  const emit =
    (lineLevel: LogLevel) =>
    (message: string, more: LogFields = {}) => {
      if (order[lineLevel] < order[level]) return;
      write(JSON.stringify({ time: new Date().toISOString(), level: lineLevel, message, ...fields, ...more }, redact));
    };
  return {
    debug: emit('debug'),
    info: emit('info'),
    warn: emit('warn'),
    error: emit('error'),
    child: (more) => createLog({ level, write, fields: { ...fields, ...more } }),
  };
}

function redact(name: string, value: unknown): unknown {
  if (value instanceof Secret || (secretName.test(name) && value != null)) return '***';
  if (value instanceof Error) return describeError(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string' && value.length > MAX_VALUE_CHARS) return `${value.slice(0, MAX_VALUE_CHARS)}…`;
  return value;
}

function describeError(error: Error): LogFields {
  const described: LogFields = { name: error.name, message: error.message };
  if (error instanceof DatamapError) described.code = error.code;
  else described.stack = error.stack;
  if (error.cause instanceof Error) described.cause = { name: error.cause.name, message: error.cause.message };
  return described;
}
