/** The commands that Run runs now, by whom they are run for. */
export interface RunningCommands {
  /** `kill` is called at most once. To be removed, by what is answered, when the command has ended. */
  add(owner: string, kill: () => void): () => void;
  cancel(owner: string): void;
}

export function createRunningCommands(): RunningCommands {
  const running = new Set<{ readonly owner: string; readonly kill: () => void }>();
  return {
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
