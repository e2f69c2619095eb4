// Waits until the people of a campaign are counted, and then shows the page that was asked for.
"use strict";

const SECONDS_BETWEEN_LOOKS = 1;

async function look() {
  try {
    const answer = await fetch(window.location.href, { credentials: "same-origin" });
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-counting]");
    // Counted, signed out, or gone: the page itself says which.
    if (!found) return window.location.reload();
    document.getElementById("counting").textContent = found.textContent;
  } catch {
    // The line is gone for now; the next look may find it again.
  }
  setTimeout(look, SECONDS_BETWEEN_LOOKS * 1000);
}

setTimeout(look, SECONDS_BETWEEN_LOOKS * 1000);
