/** A google.protobuf.Any. */
export interface TypedBytes {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}
