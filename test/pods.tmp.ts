import { connectCri } from "@kuasar/install/cri-client";
import { Pod } from "@kuasar/install/pod";
const cri = connectCri(process.argv[2]!);
const T: Record<string, number[]> = {};
const timed = async <R>(n: string, f: () => Promise<R>): Promise<R> => { const a = performance.now(); const r = await f(); (T[n] ??= []).push(performance.now() - a); return r; };
for (let i = 0; i < 40; i++) {
  const p = await timed("runp", () => Pod.run(cri, { handler: process.argv[3]!, cgroupParent: "/kuasar-x" }));
  if (process.argv[4]) { const c = await timed("create", () => p.create({command:["sleep","1000"]})); await timed("start", () => cri.runtime.startContainer({containerId: c})); for (let k=0;k<3;k++) await timed("exec", () => p.exec(c, "true")); }
  await timed("stop", () => p.stop()); await timed("remove", () => p.remove());
}
for (const k in T) console.log(k, T[k]!.sort((x, y) => x - y)[T[k]!.length >> 1]!.toFixed(2), T[k]![0]!.toFixed(2));
process.exit(0);
