// npm `nats` 2, the client of the seed code; the same file runs in Node and in Deno.

import { connect, ErrorCode, headers, nanos, StorageType } from "nats";
import { drive } from "./drive.mjs";

// This client says "TIMEOUT" and "503" where the others have words.
const words = { [ErrorCode.Timeout]: "timeout", [ErrorCode.NoResponders]: "no responders" };

await drive({
  connect,
  headers,
  jetstream: (nc) => nc.jetstream(),
  // These two calls are the seed code's own. One takes its ttl in nanoseconds and the other in milliseconds.
  objects: (nc) => nc.jetstream().views.os("supercheck", { storage: StorageType.File, ttl: nanos(30_000) }),
  values: (nc) => nc.jetstream().views.kv("supercheck_kv", { storage: StorageType.File, ttl: 86_400_000 }),
  reason: (error) => words[error.code] ?? error.message,
});
