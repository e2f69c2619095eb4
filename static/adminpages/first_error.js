// Goes to the first error of a form that came back with one, so that nobody has to look for it.
"use strict";

// Return whether there was a field to go to: in a tab or a folded part, that opens.
function goToFirstError(within) {
  const isShown = (field) => field.type !== "hidden" && !field.closest("[hidden]:not([role=tabpanel])");
  const wrong = [...within.querySelectorAll("#fresh_password, [aria-invalid=true]")].find(isShown);
  const tab = wrong?.closest("[role=tabpanel][hidden]");
  const folded = wrong?.closest("details");
  if (folded) folded.open = true;
  if (tab) document.querySelector(`[role=tab][aria-controls="${tab.id}"]`)?.click();
  wrong?.focus();
  if (wrong) showWithError(wrong);
  return Boolean(wrong);
}

// The browser scrolls to the field alone, and what is wrong with it may be behind the bar with Save.
function showWithError(field) {
  const said = (field.getAttribute("aria-describedby") ?? "").split(" ").map((id) => document.getElementById(id));
  for (const part of [...said, field]) part?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("DOMContentLoaded", () => {
  const main = document.getElementById("main-content");
  // A draft is no form that came back, and who is asked for the password has that to do first.
  if (!main || document.querySelector("#writing, #fresh_password")) return;
  if (!goToFirstError(main)) main.querySelector("form[method=post] ul.errorlist")?.scrollIntoView({ block: "center" });
});
