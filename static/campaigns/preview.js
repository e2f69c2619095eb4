// Switches the preview between desktop width, phone width and the text part.
"use strict";

const frame = document.querySelector(".campaign-frame");
const buttons = document.querySelectorAll(".campaign-widths button");

for (const button of buttons) {
  button.addEventListener("click", () => {
    frame.dataset.width = button.dataset.show;
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
  });
}
