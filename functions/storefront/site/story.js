/** What happened to a purchase, line by line, for those who want to know. */

import { el } from "./page.js";
import { second } from "./words.js";

/** What happened, without the provider's ids, and without a status that stayed as it was. */
export const plainly = (what) => what.replace(/#[^\s:]+/, "").replace(/: (\w+) -> \1$/, "").replace(" -> ", " → ");

/** A list of the *timeline*'s moments, as the API tells them. `when` says when something was. */
export function lines(timeline, when = second) {
  const said = timeline.map(({ what, at, channel, settled_at: settledAt }) => {
    const heard = settledAt > at ? `heard ${settledAt - at} s later by ${channel}` : `heard at once by ${channel}`;
    return el("li", {}, [when(at), plainly(what), heard].join(" · "));
  });
  return el("ol", {}, said);
}
