// What all parts of a span's panel share: {host, traceId, spanId, query, isPlain}.
import { createContext } from "./preact.js";

export const Viewing = createContext(null);
