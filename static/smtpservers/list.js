// Reorders servers by dragging or by typing a number: both are saved at once.
"use strict";

(() => {
  const save = () => document.querySelector("[name=_save]").click();
  const inputs = () => [...document.querySelectorAll("#result_list input.server-order")];

  document.addEventListener("DOMContentLoaded", () => {
    const places = inputs().map((input) => Number(input.value));
    // If the list is sorted by another column, a new position has no meaning.
    const isOrdered = places.every((place, at) => at === 0 || places[at - 1] <= place);
    const canMove = places.length > 1 && isOrdered;
    document.getElementById("result_list")?.classList.toggle("server-list-fixed", !canMove);

    // After dragging, the numbers of this page are assigned again; unfold's own function numbers each page from 0,
    // which mixes the pages of a long list.
    window.sortRecords = () => {
      let least = 0;
      const sorted = [...places].sort((a, b) => a - b);
      inputs().forEach((input, at) => {
        least = Math.max(sorted[at], least);
        input.value = least;
        least += 1;
      });
      save();
    };

    // In this form, Enter would otherwise press the first button, which runs the chosen action.
    for (const input of inputs()) {
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        save();
      });
    }
  });
})();
