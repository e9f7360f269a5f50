import { spawn } from 'node:child_process';

/** Ends the process `pid` with SIGINT should this process be killed; what is returned calls the watch off. */
export function watchOver(pid: number): () => void {
  if (process.platform === 'win32') return () => {};
  // Its input ends with us, however we end. A group of its own: Ctrl-C in a terminal is for us alone.
  const watchdog = spawn('sh', ['-c', 'read -r _; kill -INT "$1"', 'watchdog', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  watchdog.on('error', () => {});
  watchdog.stdin.on('error', () => {});
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return () => watchdog.kill('SIGKILL');
}
