// Waits until the people of a campaign are counted, then shows the requested page.
"use strict";

const SECONDS_BETWEEN_LOOKS = 1;

async function look() {
  try {
    const answer = await fetch(window.location.href, { credentials: "same-origin" });
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-counting]");
    // Counted, signed out or deleted: the reloaded page shows which.
    if (!found && !document.querySelector("details[open]")) return window.location.reload();
    if (found) document.getElementById("counting").textContent = found.textContent;
  } catch {
    // The connection is lost; the next request may succeed.
  }
  setTimeout(look, SECONDS_BETWEEN_LOOKS * 1000);
}

setTimeout(look, SECONDS_BETWEEN_LOOKS * 1000);
