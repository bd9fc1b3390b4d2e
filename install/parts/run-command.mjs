import { spawn } from "node:child_process";

/**
 * Runs a program to its end and gives its standard output. Its standard error goes to ours, because a slow
 * download should be seen while it lasts. Throws an error that names the command line when it does not exit with 0.
 *
 * @param {string[]} argv
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, inherit?: number[], quiet?: boolean }} [options]
 *   `inherit`: file descriptors the child gets as 3, 4, ...; `quiet`: standard error only in the error text.
 * @returns {Promise<string>}
 */
export function runCommand(argv, options = {}) {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", options.quiet ? "pipe" : "inherit", ...(options.inherit ?? [])],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.on("error", (error) => reject(new Error(`cannot run ${argv.join(" ")}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(stdout);
      else {
        const told = (stderr || stdout).trim();
        reject(new Error(`${argv.join(" ")} ended with ${signal ?? `exit code ${code}`}${told ? `: ${told}` : ""}`));
      }
    });
  });
}
