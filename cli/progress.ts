import { visible } from './output.ts';

const SHOW_AFTER_MS = 2_000;

export interface Progress {
  /** What the command waits for now. */
  say(text: string): void;
  end(): void;
}

/** A line on stderr that is rewritten in place; only on a terminal and only when the work takes longer than two seconds. */
export function startProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { say: () => {}, end: () => {} };
  const startedAt = Date.now();
  let shown = false;
  let text = '';
  const draw = () => {
    if (Date.now() - startedAt < SHOW_AFTER_MS) return;
    shown = true;
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    stream.write(`\r\u001b[2K${visible(text)} (${seconds} s)`);
  };
  const timer = setInterval(draw, 500);
  return {
    say(next) {
      text = next;
      draw();
    },
    end() {
      clearInterval(timer);
      if (shown) stream.write('\r\u001b[2K');
    },
  };
}
