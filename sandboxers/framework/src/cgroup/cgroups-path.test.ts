import { expect } from "chai";
import { expandSlice, podCgroupsPath, resolveCgroupsPath } from "./cgroups-path.ts";

describe("the path of a cgroup", () => {
  it("is the plain path of a spec", () => {
    expect(resolveCgroupsPath("/kubepods/pod1/abc")).to.equal("/kubepods/pod1/abc");
    expect(resolveCgroupsPath("k8s.io/abc")).to.equal("/k8s.io/abc");
    expect(resolveCgroupsPath("")).to.equal("");
  });

  it("is a scope below its slices in systemd's form", () => {
    expect(resolveCgroupsPath("kubepods-burstable-podx_1.slice:cri-containerd:abc")).to.equal(
      "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx_1.slice/cri-containerd-abc.scope",
    );
    expect(resolveCgroupsPath(":runc:abc")).to.equal("/system.slice/runc-abc.scope");
    expect(resolveCgroupsPath("-.slice::abc")).to.equal("/abc.scope");
    expect(expandSlice("-.slice")).to.equal("");
  });

  it("never leaves the hierarchy", () => {
    for (const path of ["/../etc", "a/../../b", "/..", "..:a:b", "x/y:a:b", "a:b:", "a--b.slice:x:y"]) {
      expect(() => resolveCgroupsPath(path), path).to.throw(/must|not the name/);
    }
  });

  it("is a pod's own below the parent that CRI names", () => {
    expect(podCgroupsPath("/kubepods/pod1", "id")).to.equal("/kubepods/pod1/id");
    expect(podCgroupsPath("/kubepods.slice/kubepods-pod1.slice", "id")).to.equal(
      "kubepods-pod1.slice:cri-containerd:id",
    );
    expect(podCgroupsPath("", "id")).to.equal("");
  });
});
