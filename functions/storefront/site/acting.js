/** What support does: each act asks for a reason, says what came of it, and shows the page as it is after that. */

import { announce, button, el, find, paidup, show } from "./page.js";

const LONG_MS = 29_000;

/** What an act said last, by the place it was pressed at, for when that is drawn anew. */
const said = new Map();

export const desk = (method, path, body = undefined) => paidup.call(method, `/support/${path}`, { body, limitMs: LONG_MS });

const id = encodeURIComponent;
export const ofCustomer = (customerId, path = "") => `customers/${id(customerId)}${path}`;
export const ofPurchase = (customerId, purchaseId, path) => ofCustomer(customerId, `/purchases/${id(purchaseId)}${path}`);
export const ofEvent = ({ provider, event_id: eventId }, path = "") => `events/${id(provider)}/${id(eventId)}${path}`;

/** A field of a form: `{name, label, value, options, optional}`; *options* are [value, text] pairs to choose from. */
function field(form, { name, label, value = "", options = null, optional = false }) {
  const key = `${form}-${name}`;
  const input = options
    ? el("select", { id: key, name }, options.map(([one, text]) => el("option", { value: one }, text)))
    : el("input", { id: key, name, type: "text", value, maxlength: 500, autocomplete: "off", "data-optional": optional });
  return el("div", { class: "field" }, el("label", { for: key }, label), input);
}

/**
 * Buttons side by side, of which each opens a form that asks why.
 *
 * @param {string} key - names the place
 * @param {object[]} acts - `{label, doing, path, fields, also, told}`: where the form is sent to, and what with
 * @param {() => Promise<void>} refresh - draws the page as it is after an act
 */
export function acts(key, list, refresh) {
  const place = el("div", { class: "panel", hidden: true });
  const buttons = list.map((one) => {
    return button(one.label, "Opening…", async () => openForm(key, place, one, refresh), { kind: "", name: called(one.label, one) });
  });
  const told = said.get(key);
  said.delete(key);
  return el(
    "div",
    { class: "acts", "data-acts": key },
    el("div", { class: "actions" }, buttons),
    place,
    told ? answered(told) : null,
  );
}

/** The name of a button for those who listen: what it says, and what that is about. */
const called = (label, { name }) => (name ? `${label}: ${name}` : label);

const answered = (text) => el("div", { class: "told" }, el("p", {}, text));

function openForm(key, place, one, refresh) {
  const form = `${key}-${one.label}`.replace(/\W+/g, "-").toLowerCase();
  const fields = [...(one.fields ?? []), { name: "reason", label: "Reason" }].map((each) => field(form, each));
  const inputs = fields.map((each) => each.querySelector("input, select"));
  const buttons = place.previousElementSibling;
  const close = () => {
    place.hidden = true;
    buttons.hidden = false;
    show(place);
    buttons.querySelector("button").focus();
  };
  const send = async () => {
    const empty = inputs.find((input) => !input.value.trim() && !input.hasAttribute("data-optional"));
    if (empty) {
      empty.focus();
      announce(`${empty.closest(".field").querySelector("label").textContent} is missing.`);
      return;
    }
    const body = Object.fromEntries(inputs.filter((input) => input.value.trim()).map((input) => [input.name, input.value.trim()]));
    const done = await desk("POST", one.path(body), one.body ? one.body(body) : body);
    await tell(key, one.told ? one.told(done) : done.done, refresh, done);
  };
  const sure = button(one.sure ?? one.label, one.doing, send, { name: called(one.sure ?? one.label, one) });
  const back = button("Close", "Closing…", async () => close(), { kind: "" });
  place.hidden = false;
  buttons.hidden = true;
  show(place, one.about ? el("p", { class: "muted" }, one.about) : null, fields, el("div", { class: "actions" }, sure, back));
  inputs.forEach((input) => input.addEventListener("keydown", (event) => event.key === "Enter" && sure.click()));
  inputs[0].focus();
}

/** Say *text* where the act was, or at the top of the page if that is gone now. */
async function tell(key, text, refresh, done) {
  show(find("#notice"));
  said.set(key, text);
  announce(text);
  await refresh(done);
  if (said.delete(key)) show(find("#notice"), answered(text));
}
