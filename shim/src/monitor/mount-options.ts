/**
 * Mount options as fstab and containerd's mount package have them: words that are flags of mount(2), and the rest,
 * which is the file system's own data.
 */

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
const MS_MANDLOCK = 64;
const MS_DIRSYNC = 128;
const MS_NOSYMFOLLOW = 256;
const MS_NOATIME = 1024;
const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_REC = 16384;
const MS_UNBINDABLE = 1 << 17;
export const MS_PRIVATE = 1 << 18;
const MS_SLAVE = 1 << 19;
const MS_SHARED = 1 << 20;
const MS_RELATIME = 1 << 21;
const MS_STRICTATIME = 1 << 24;

/** Attributes of a mount, from linux/mount.h: what the flags above are to mount_setattr(2). */
export const MOUNT_ATTR_RDONLY = 1;
export const MOUNT_ATTR_NOSUID = 2;
export const MOUNT_ATTR_NODEV = 4;
export const MOUNT_ATTR_NOEXEC = 8;

interface Flag {
  readonly set?: number;
  readonly clear?: number;
}

const FLAGS: Readonly<Record<string, Flag>> = {
  async: { clear: MS_SYNCHRONOUS },
  atime: { clear: MS_NOATIME },
  bind: { set: MS_BIND },
  defaults: {},
  dev: { clear: MS_NODEV },
  diratime: { clear: MS_NODIRATIME },
  dirsync: { set: MS_DIRSYNC },
  exec: { clear: MS_NOEXEC },
  mand: { set: MS_MANDLOCK },
  noatime: { set: MS_NOATIME },
  nodev: { set: MS_NODEV },
  nodiratime: { set: MS_NODIRATIME },
  noexec: { set: MS_NOEXEC },
  nomand: { clear: MS_MANDLOCK },
  norelatime: { clear: MS_RELATIME },
  nostrictatime: { clear: MS_STRICTATIME },
  nosuid: { set: MS_NOSUID },
  nosymfollow: { set: MS_NOSYMFOLLOW },
  rbind: { set: MS_BIND | MS_REC },
  relatime: { set: MS_RELATIME },
  remount: { set: MS_REMOUNT },
  ro: { set: MS_RDONLY },
  rw: { clear: MS_RDONLY },
  strictatime: { set: MS_STRICTATIME },
  suid: { clear: MS_NOSUID },
  sync: { set: MS_SYNCHRONOUS },
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE | MS_REC,
  shared: MS_SHARED,
  rshared: MS_SHARED | MS_REC,
  slave: MS_SLAVE,
  rslave: MS_SLAVE | MS_REC,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE | MS_REC,
};

export interface MountOptions {
  /** For the mount itself. */
  readonly flags: number;
  /** For a second call, since the kernel takes a change of propagation only alone; 0 for none. */
  readonly propagation: number;
  readonly data: readonly string[];
}

export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  let propagation = 0;
  const data: string[] = [];
  for (const option of options) {
    const flag = FLAGS[option];
    const spread = PROPAGATION[option];
    if (flag) flags = (flags | (flag.set ?? 0)) & ~(flag.clear ?? 0);
    else if (spread !== undefined) propagation |= spread;
    else data.push(option);
  }
  return { flags, propagation, data };
}
