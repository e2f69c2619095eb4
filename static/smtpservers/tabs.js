// Tabs with keyboard access: arrows, Home and End move, and the open tab is restored after saving. The form of a new
// server starts at the first tab. After an error, the first tab with an error stays open, as the server chose it.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const holder of document.querySelectorAll("[data-tabs]")) setUpTabs(holder);
});

function setUpTabs(holder) {
  const links = [...holder.querySelectorAll("[role=tab]")];
  const memory = `tab:${location.pathname}`;

  function open(link) {
    for (const other of links) {
      const isOpen = other === link;
      other.setAttribute("aria-selected", String(isOpen));
      other.tabIndex = isOpen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !isOpen;
    }
    sessionStorage.setItem(memory, link.id);
  }

  holder.addEventListener("click", (event) => {
    const link = event.target.closest("[role=tab]");
    if (link) open(link);
  });

  holder.addEventListener("keydown", (event) => {
    const at = links.indexOf(event.target);
    if (at < 0) return;
    const last = links.length - 1;
    const next = {
      ArrowRight: at === last ? 0 : at + 1,
      ArrowLeft: at === 0 ? last : at - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    open(links[next]);
    links[next].focus();
  });

  if (!location.pathname.endsWith("/add/") && !holder.querySelector(".errorlist")) {
    const remembered = document.getElementById(sessionStorage.getItem(memory));
    if (links.includes(remembered)) open(remembered);
  }
}
