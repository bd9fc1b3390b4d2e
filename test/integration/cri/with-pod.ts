import type { Pod, PodOptions } from "@kuasar/install/pod";
import type { Lab } from "../lab.ts";

/** Runs a pod for as long as `use` takes, and removes it however that ends: the next test has the same lab. */
export async function withPod<T>(lab: Lab, options: Partial<PodOptions>, use: (pod: Pod) => Promise<T>): Promise<T> {
  const pod = await lab.runPod(options);
  try {
    return await use(pod);
  } finally {
    await pod.remove();
  }
}
