import { type RuntimeCase, runtimeCases } from "../integration/runtime-case.ts";
import { vmCases } from "../integration/vm-case.ts";
import { allCases } from "./cases/all.ts";
import { type Finding, findOut, type Stages } from "./finding.ts";
import { type Justification, justifications } from "./justified.ts";
import { machineJustifications } from "./justified-vmm.ts";
import { Stage } from "./stage.ts";

/** What may be behind our shim when it is compared. */
export interface Subject {
  /** After the report's. */
  readonly title: string;
  /** What writes the report. */
  readonly command: string;
  readonly cases: readonly RuntimeCase[];
  readonly justifications: readonly Justification[];
  /** All of a container's processes are one on the host, and have its pid. */
  readonly onePid: boolean;
}

export const subjects: Readonly<Record<string, Subject>> = {
  runc: { title: "", command: "npm run conformance", cases: runtimeCases, justifications, onePid: false },
  vmm: {
    title: ", in virtual machines",
    command: "npm run conformance:vmm",
    cases: vmCases,
    justifications: [...justifications, ...machineJustifications],
    onePid: true,
  },
};

/** Both runtimes, each behind a containerd of its own. */
export async function openStages({ cases, onePid }: Subject): Promise<Stages> {
  const find = (of: readonly RuntimeCase[], type: string) => {
    const found = of.find((runtimeCase) => runtimeCase.type === type && !runtimeCase.criSandboxes);
    if (!found) throw new Error(`there is no runtime case of type ${type}`);
    return found;
  };
  const reference = await Stage.open(find(runtimeCases, "io.containerd.runc.v2"), onePid);
  try {
    return { reference, ours: await Stage.open(find(cases, "io.containerd.kuasar.v2"), onePid) };
  } catch (error) {
    await reference.close();
    throw error;
  }
}

export async function closeStages({ reference, ours }: Stages): Promise<void> {
  // What containerd's own shim leaves when it breaks down is not ours to judge; it has been removed.
  await reference.close().catch(() => undefined);
  await ours.close();
}

/** One case after the other, that none disturbs another's events. */
export async function* runCases(stages: Stages, subject: Subject, grep?: RegExp): AsyncGenerator<Finding> {
  for (const [index, conformanceCase] of allCases.entries()) {
    if (grep && !grep.test(conformanceCase.name)) continue;
    yield await findOut(stages, conformanceCase, `case-${index}`, subject.justifications);
  }
}
