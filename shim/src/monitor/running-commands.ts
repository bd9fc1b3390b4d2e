/** The commands that Run runs now. */
export interface RunningCommands {
  /** Of a command that is about to be started: its variable, until `end`. */
  begin(): string;
  end(variable: string): void;
  isUnderWay(variable: string): boolean;
  /** By whom it is run for. `kill` is called at most once. To be removed, by what is answered, when it has ended. */
  add(owner: string, kill: () => void): () => void;
  cancel(owner: string): void;
}

/** In the environment of a command, and so of all that it starts until that becomes another program. */
export const COMMAND_VARIABLE = "KUASAR_COMMAND=";

export function createRunningCommands(): RunningCommands {
  const running = new Set<{ readonly owner: string; readonly kill: () => void }>();
  const underWay = new Set<string>();
  let last = 0;
  return {
    begin() {
      const variable = `${COMMAND_VARIABLE}${++last}`;
      underWay.add(variable);
      return variable;
    },
    end: (variable) => void underWay.delete(variable),
    isUnderWay: (variable) => underWay.has(variable),
    add(owner, kill) {
      const command = { owner, kill };
      running.add(command);
      return () => running.delete(command);
    },
    cancel(owner) {
      for (const command of [...running]) {
        if (command.owner !== owner) continue;
        running.delete(command);
        command.kill();
      }
    },
  };
}
