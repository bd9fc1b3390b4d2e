import { runtimeCases } from "../integration/runtime-case.ts";
import { allCases } from "./cases/all.ts";
import { type Finding, findOut, type Stages } from "./finding.ts";
import { justifications } from "./justified.ts";
import { Stage } from "./stage.ts";

/** Both runtimes, each behind a containerd of its own. */
export async function openStages(): Promise<Stages> {
  const find = (type: string) => {
    const found = runtimeCases.find((runtimeCase) => runtimeCase.type === type && !runtimeCase.criSandboxes);
    if (!found) throw new Error(`there is no runtime case of type ${type}`);
    return found;
  };
  const reference = await Stage.open(find("io.containerd.runc.v2"));
  try {
    return { reference, ours: await Stage.open(find("io.containerd.kuasar.v2")) };
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
export async function* runCases(stages: Stages, grep?: RegExp): AsyncGenerator<Finding> {
  for (const [index, conformanceCase] of allCases.entries()) {
    if (grep && !grep.test(conformanceCase.name)) continue;
    yield await findOut(stages, conformanceCase, `case-${index}`, justifications);
  }
}
