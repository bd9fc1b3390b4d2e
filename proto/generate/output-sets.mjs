import { readFileSync } from "node:fs";

const shimMessages = JSON.parse(readFileSync(new URL("../shim-messages.json", import.meta.url), "utf8"));

const wellKnown = ["google.protobuf.Any", "google.protobuf.Empty", "google.protobuf.Timestamp"];

/**
 * One module of codecs each, and a module of service definitions where a set has services.
 * `codec` is how the code is made: "static" is protobufjs' code, unrolled field by field, the faster one; "table" is a
 * line of text a message, read by one small interpreter. In QuickJS, the shim's set loaded and used once takes 0.2 MB
 * so, and 0.8 MB unrolled; an encode and decode takes 36 us in place of 21.
 *
 * @typedef {{ codec: "static" | "table", messages: string[], definitions: string, services: Record<string, string> }} OutputSet
 * @type {Record<string, OutputSet>}
 */
export const outputSets = {
  containerd: {
    codec: "static",
    messages: [
      "containerd.events.*",
      "containerd.linux.runc.*",
      "containerd.runc.v1.*",
      "containerd.runtime.sandbox.v1.*",
      "containerd.services.events.ttrpc.v1.*",
      "containerd.services.sandbox.v1.*",
      "containerd.task.*",
      "containerd.types.*",
      "containerd.v1.types.*",
      "google.rpc.Status",
      "kuasar.guest.v1.*",
      "kuasar.monitor.v1.*",
      "kuasar.sandboxes.v1.*",
      "runtime.v1.PodSandboxConfig",
      "runtimeoptions.v1.*",
      "ttrpc.*",
      ...wellKnown,
    ],
    definitions: "definitions",
    services: {
      TaskService: "containerd.task.v2.Task",
      TaskV3Service: "containerd.task.v3.Task",
      SandboxService: "containerd.runtime.sandbox.v1.Sandbox",
      ControllerService: "containerd.services.sandbox.v1.Controller",
      EventsService: "containerd.services.events.ttrpc.v1.Events",
      MonitorService: "kuasar.monitor.v1.Monitor",
      GuestService: "kuasar.guest.v1.Guest",
      SandboxesService: "kuasar.sandboxes.v1.Sandboxes",
    },
  },
  // What a virtual machine's vmm-task has beside the shim's set.
  guest: {
    codec: "table",
    messages: ["kuasar.guest.v1.*", ...wellKnown],
    definitions: "guest-definitions",
    services: { GuestService: "kuasar.guest.v1.Guest" },
  },
  metrics: { codec: "static", messages: ["io.containerd.cgroups.*"], definitions: "", services: {} },
  cri: {
    codec: "static",
    messages: ["runtime.v1.*"],
    definitions: "cri-definitions",
    services: { RuntimeService: "runtime.v1.RuntimeService", ImageService: "runtime.v1.ImageService" },
  },
  services: {
    codec: "static",
    messages: [
      "containerd.services.containers.v1.*",
      "containerd.services.content.v1.*",
      "containerd.services.events.v1.*",
      "containerd.services.images.v1.*",
      "containerd.services.tasks.v1.*",
      ...wellKnown,
    ],
    definitions: "services-definitions",
    services: {
      ContainersService: "containerd.services.containers.v1.Containers",
      ContentService: "containerd.services.content.v1.Content",
      EventsService: "containerd.services.events.v1.Events",
      ImagesService: "containerd.services.images.v1.Images",
      TasksService: "containerd.services.tasks.v1.Tasks",
    },
  },
  shim: {
    codec: "table",
    messages: shimMessages,
    definitions: "shim-definitions",
    services: {
      TaskService: "containerd.task.v2.Task",
      SandboxService: "containerd.runtime.sandbox.v1.Sandbox",
      EventsService: "containerd.services.events.ttrpc.v1.Events",
      MonitorService: "kuasar.monitor.v1.Monitor",
    },
  },
};
