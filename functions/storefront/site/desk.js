/** The desk: find a customer, and see what waits for somebody. It is there for the role support alone. */

import { acts, desk, ofCustomer } from "./acting.js";
import { customerPage, offerField } from "./customer.js";
import { caseCard, failedList } from "./events.js";
import { begin, button, catalogue, el, find, redraw, roles, session, show, signInButton } from "./page.js";
import { WORDS } from "./paidup.js";

// What buyers read of a 404 helps nobody here: the API's own words do.
delete WORDS[404];

let shop;

/** What was found last, while no customer is shown. */
let found = null;

begin(async () => {
  if (!session.isSignedIn) return show(find("#content"), hero("Sign in"), el("div", { class: "actions" }, signInButton()));
  if (!roles().includes("support")) return nothingHere();
  addEventListener("hashchange", () => redraw(draw));
  shop = await catalogue();
  return draw();
});

/** To everybody else, this is a page that does not exist. */
function nothingHere() {
  document.title = "Not found · paidup";
  show(find("#content"), hero("There is no such page"), el("p", { class: "muted" }, "Error 404. Go on in the shop, or in your account."));
}

/** The customer is named in the part of the address that is sent to nobody. */
const chosen = () => decodeURIComponent(location.hash.slice(1));

/** Show a customer. */
async function open(customerId) {
  found = null;
  show(find("#notice"));
  if (chosen() === customerId) return draw();
  location.hash = encodeURIComponent(customerId);
  return undefined;
}

async function draw() {
  try {
    await (chosen() ? drawCustomer(chosen()) : drawWaiting());
  } catch (failure) {
    if (failure.status === 404) return nothingHere();
    throw failure;
  }
  return undefined;
}

async function drawCustomer(customerId) {
  const customer = await desk("GET", ofCustomer(customerId)).catch((failure) => {
    if (failure.status !== 404) throw failure;
    return null;
  });
  const page = customer ? customerPage(customer, shop, draw, open) : [hero(customerId), el("p", { class: "muted" }, "Nothing is known of this customer.")];
  show(find("#content"), search(), page);
  find("h1")?.focus({ preventScroll: true });
}

async function drawWaiting() {
  const [waiting, failed] = await Promise.all([desk("GET", "cases"), desk("GET", "events")]);
  show(
    find("#content"),
    hero("Desk"),
    search(),
    found ? results(found) : null,
    part("Waits for a decision", waiting.cases.length, "No case is open.", el("ul", { class: "entries" }, waiting.cases.map((one) => caseCard(one, draw, { open })))),
    part("Failed events", failed.events.length, "No event has failed.", failedList(failed, draw)),
  );
}

const hero = (title) => el("div", { class: "hero" }, el("h1", { tabindex: "-1" }, title));

const part = (title, count, none, content) =>
  el(
    "section",
    { class: "part", "aria-label": title },
    el("h2", {}, title, count ? el("span", { class: "muted" }, ` (${count})`) : null),
    count ? content : el("p", { class: "muted" }, none),
  );

function search() {
  const input = el("input", { id: "query", type: "search", maxlength: 255, autocomplete: "off", spellcheck: "false" });
  const look = async () => {
    if (!input.value.trim()) return input.focus();
    const said = await desk("POST", "find", { query: input.value.trim() });
    if (said.customers.length === 1) return open(said.customers[0]);
    found = { ...said, query: input.value.trim() };
    if (chosen()) location.hash = "";
    else await draw();
    return undefined;
  };
  const go = button("Find", "Looking…", look);
  input.addEventListener("keydown", (event) => event.key === "Enter" && go.click());
  const back = chosen() ? button("What waits", "Opening…", async () => void (location.hash = ""), { kind: "" }) : null;
  return el(
    "div",
    { class: "search", role: "search" },
    el("label", { for: "query" }, "Customer id, e-mail, reference, or any id at the provider"),
    el("div", { class: "line" }, input, go, back),
  );
}

function results({ customers, unassigned, query }) {
  if (unassigned) return unassignedCard(unassigned);
  const list = customers.map((one) => el("li", {}, button(one, "Opening…", () => open(one), { kind: "", name: `Show ${one}` })));
  return el(
    "section",
    { class: "part", "aria-label": "Found", role: "region" },
    el("h2", {}, customers.length ? `${customers.length} customers` : `Nobody is found by ${query}`),
    customers.length ? el("ul", { class: "entries" }, list) : el("p", { class: "muted" }, "Look for an id of the payment at the provider: it finds payments of nobody, too."),
  );
}

/** A payment that belongs to nobody, and a form that gives it to somebody. */
function unassignedCard(payment) {
  const to = { name: "customer_id", label: "Customer id" };
  return el(
    "section",
    { class: "card entry", "aria-label": "A payment of nobody" },
    el("h2", {}, "This payment belongs to nobody"),
    el("p", {}, el("code", {}, payment)),
    acts(
      "unassigned",
      [{
        label: "Assign it",
        doing: "Assigning…",
        about: "It becomes a purchase of a customer.",
        fields: [to, offerField(shop.offers)],
        path: ({ customer_id: customerId }) => ofCustomer(customerId, "/assign"),
        body: ({ offer_id: offerId, reason }) => ({ payment, offer_id: offerId, reason }),
      }],
      async () => {
        found = null;
        await draw();
      },
    ),
  );
}
