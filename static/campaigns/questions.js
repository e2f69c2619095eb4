// The questions behind “Cancel…”, “Choose A…” and the like: one is open at a time, and Escape or a click elsewhere closes it.
"use strict";

(() => {
  const QUESTION = "details.campaign-sure";

  function close(except) {
    for (const open of document.querySelectorAll(`${QUESTION}[open]`)) if (open !== except) open.open = false;
  }

  // A toggle doesn't bubble, and parts of the page are replaced while it is open.
  document.addEventListener("toggle", (event) => {
    if (event.target.matches(QUESTION) && event.target.open) close(event.target);
  }, true);
  document.addEventListener("click", (event) => close(event.target.closest(QUESTION)));
  document.addEventListener("keydown", (event) => {
    const open = document.querySelector(`${QUESTION}[open]`);
    if (event.key !== "Escape" || event.defaultPrevented || !open) return;
    const hadFocus = open.contains(document.activeElement);
    close();
    if (hadFocus) open.querySelector("summary").focus();
  });
})();
