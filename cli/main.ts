import { EXIT } from './failure.ts';
import { runProgram } from './program.ts';

// A reader that closed the pipe (`datamap tables | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  throw error;
});

process.exitCode = await runProgram(process.argv.slice(2));
