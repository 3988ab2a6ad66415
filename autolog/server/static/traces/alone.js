// A trace that is opened by its link: without the list below it, which is loaded when it is gone back to.
import { html } from "../viewer/preact.js";
import { address, go } from "../base/router.js";
import { Trace } from "./trace.js";

const nothing = () => {};

export function Page({ route }) {
  const { span, full, ...others } = route.params;
  const close = () => go(address("traces", [], others));
  return html`<${Trace} traceId=${route.parts[0]} route=${{ ...route, params: { ...route.params, full: "1" } }} place=${-1}
    hasNext=${false} hasPrevious=${false} onStep=${nothing} onClose=${close} onChange=${nothing} onGone=${close} />`;
}
