// Help while filling in the server form. The server validates everything again.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  // "Turn it on", next to an error about a switch, which may come while the page is open.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-turn-on]");
    if (!button) return;
    const target = document.getElementById(button.dataset.turnOn);
    target.checked = true;
    target.focus();
    target.dispatchEvent(new Event("change", { bubbles: true }));
    button.closest(".errorlist").remove();
  });

  // An address entered for the first time is meant to be used.
  for (const input of document.querySelectorAll("[data-turns-on]")) {
    if (input.value) continue;
    input.addEventListener(
      "input",
      () => {
        document.getElementById(input.dataset.turnsOn).checked = true;
      },
      { once: true },
    );
  }
});
