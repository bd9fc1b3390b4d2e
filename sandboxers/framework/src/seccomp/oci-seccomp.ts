/** https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp */
export interface OciSeccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  syscalls?: OciSeccompRule[];
}

export interface OciSeccompRule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: OciSeccompArgument[];
}

export interface OciSeccompArgument {
  index: number;
  value: number;
  valueTwo?: number;
  op: string;
}
