import * as sys from "sys";
import { type ChildCode, CLONE_PARENT, NAMESPACE_FLAGS, type Report } from "../platform/child-terms.ts";
import { writeKernelFile } from "../platform/files.ts";
import type { ChildPlan, Credentials, ProcessPlan } from "./child-plan.ts";
import { enterEmptyRoot } from "./empty-root.ts";
import { placeDriverEnds } from "./log-driver.ts";
import { enterRoot } from "./new-root.ts";

const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_KEEPCAPS = 8;
const NO_LIMIT = -1;

/** In a child, from the fork to the exec. Each step's failure is told with what it was. */
export const childCode: ChildCode<ChildPlan> = {
  prepare(plan, report) {
    if (plan.kind === "driver") placeDriverEnds(plan.ends);
    else prepareProcess(plan, report);
  },
  become({ program, argv, env }, filter) {
    // At the very last: it may forbid what it takes to wait, and to tell of an error.
    if (filter.byteLength > 0) step("seccomp", () => sys.setSeccomp(filter));
    return step("exec", () => sys.exec(program, argv, env));
  },
};

function prepareProcess(plan: ProcessPlan, report: Report): void {
  const { credentials } = plan;
  if (plan.gate) waitAt(plan.gate);
  // Written as 0, which is whoever writes it: also from within a new pid namespace.
  for (const file of plan.cgroupTasks) step(`join ${file}`, () => writeKernelFile(file, "0"));
  if (typeof plan.oomScoreAdj === "number") {
    step("oom_score_adj", () => writeKernelFile("/proc/self/oom_score_adj", String(plan.oomScoreAdj)));
  }
  joinNamespaces(plan, report);
  step("setsid", () => sys.setsid());
  if (plan.hostname) step("hostname", () => sys.setHostname(plan.hostname));
  if (plan.domainname) step("domainname", () => sys.setDomainname(plan.domainname));
  for (const [name, value] of Object.entries(plan.sysctls)) {
    step(`sysctl ${name}`, () => writeKernelFile(`/proc/sys/${name.replaceAll(".", "/")}`, value));
  }
  if (credentials) confineAtExec(credentials);
  enterRootOf(plan);
  if (credentials) takeCredentials(credentials);
  if (plan.parentDeathSignal) step("parent death signal", () => sys.prctl(PR_SET_PDEATHSIG, plan.parentDeathSignal));
  plan.stdio.forEach((fd, index) => void step("stdio", () => sys.dup2(fd, index)));
  if (plan.hasTerminal) step("terminal", () => sys.takeTerminal(0));
}

/** Until the parent has said who this process is, in the user namespace that it is alone in. */
function waitAt([read, write]: readonly [number, number]): void {
  sys.close(write);
  if (sys.read(read, new ArrayBuffer(1), 0, 1) !== 1) throw new Error("the parent could not set the user namespace up");
}

function joinNamespaces({ joinedNamespaces }: ProcessPlan, report: Report): void {
  for (const { flag, path } of joinedNamespaces) {
    step(`join namespace ${path}`, () => {
      const fd = sys.open(path, sys.O_RDONLY, 0);
      sys.setns(fd, flag);
      sys.close(fd);
    });
  }
  // A pid namespace that is joined holds only for children.
  if (joinedNamespaces.some(({ flag }) => flag === NAMESPACE_FLAGS.pid)) {
    const pid = step("fork", () => sys.fork(CLONE_PARENT, -1));
    if (pid !== 0) {
      report.pid(pid);
      sys.exit(0);
    }
  }
}

function enterRootOf({ root, cwd, ownNamespaces }: ProcessPlan): void {
  const ownMounts = Boolean(ownNamespaces & (NAMESPACE_FLAGS.mount as number));
  if (root === "empty") {
    step("empty root", () => enterEmptyRoot(ownMounts));
    return;
  }
  if (root) step("root", () => enterRoot(root, ownMounts));
  if (cwd) step(`chdir ${cwd}`, () => sys.chdir(cwd));
}

function takeCredentials({ uid, gid, additionalGids, capabilities, limits, noNewPrivileges }: Credentials): void {
  for (const { resource, soft, hard } of limits) {
    step(`limit ${resource}`, () => sys.setLimit(resource, soft ?? NO_LIMIT, hard ?? NO_LIMIT));
  }
  step("bounding capabilities", () => sys.limitBounding(capabilities));
  if (capabilities.length > 0) step("keepcaps", () => sys.prctl(PR_SET_KEEPCAPS, 1));
  step(`user ${uid}:${gid}`, () => sys.setUser(uid, gid, additionalGids));
  step("capabilities", () => sys.setCapabilities(capabilities));
  if (noNewPrivileges) step("no_new_privs", () => sys.prctl(PR_SET_NO_NEW_PRIVS, 1));
}

/** While /proc is still the host's. Where AppArmor has a file of its own (Linux 5.8), the other may be another module's. */
function confineAtExec({ apparmorProfile, selinuxLabel }: Credentials): void {
  const attributes = "/proc/self/attr";
  if (apparmorProfile) {
    const own = sys.stat(`${attributes}/apparmor`) ? `${attributes}/apparmor/exec` : `${attributes}/exec`;
    step(`AppArmor profile ${apparmorProfile}`, () => writeKernelFile(own, `exec ${apparmorProfile}`));
  }
  if (selinuxLabel) step(`SELinux label ${selinuxLabel}`, () => writeKernelFile(`${attributes}/exec`, selinuxLabel));
}

function step<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`);
  }
}
