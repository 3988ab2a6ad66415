// News from the server: called when anything in the store changed, while somebody can see the page.
import { useEffect, useRef, useState } from "../viewer/preact.js";
import { url } from "./api.js";

// Milliseconds: between two calls, before the first, and before a server that refused is asked again.
const PAUSE = 700;
const SOON = 50;
const RETRY = 5000;

// Call `onChange`, which may return a promise, after each change. A hidden page listens to nothing, for a browser has
// six connections to a server and each listener holds one; it is called when it is seen again. Returns whether the
// server is away.
export function useChanges(onChange, isActive = true) {
  const held = useRef(onChange);
  held.current = onChange;
  const [isAway, setAway] = useState(false);
  useEffect(() => {
    if (!isActive) return undefined;
    let source = null;
    let isBusy = false;
    let isDue = false;
    let timer = 0;
    let retry = 0;
    let ranAt = 0;
    const run = async () => {
      timer = 0;
      isBusy = true;
      isDue = false;
      try {
        await held.current();
      } catch {
        // The next change tries again; a list that can't be loaded says so itself.
      }
      isBusy = false;
      ranAt = Date.now();
      if (isDue && source) due();
    };
    const due = () => {
      isDue = true;
      if (!isBusy && !timer) timer = setTimeout(run, Math.max(SOON, ranAt + PAUSE - Date.now()));
    };
    // Browsers try again by themselves when a connection breaks, but not when a proxy answers for a server that is away.
    const again = () => {
      setAway(true);
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(listen, RETRY);
    };
    const listen = () => {
      source = new EventSource(url("changes"), { withCredentials: true });
      source.addEventListener("open", () => setAway(false));
      source.addEventListener("change", due);
      source.addEventListener("error", again);
    };
    const stop = () => {
      source?.close();
      source = null;
      clearTimeout(timer);
      clearTimeout(retry);
      timer = 0;
    };
    const seen = () => {
      if (document.hidden) stop();
      else if (!source) {
        listen();
        due();
      }
    };
    if (!document.hidden) listen();
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      stop();
    };
  }, [isActive]);
  return isAway;
}

// Call `tick` with the time every `seconds`, for what says how long ago something was; return what ends that.
export function everySeconds(seconds, tick) {
  const timer = setInterval(() => document.hidden || tick(Date.now()), seconds * 1000);
  return () => clearInterval(timer);
}
