// Adds and removes rows of custom attributes. Without it the form shows two empty rows per visit.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("[data-attributes]")) {
    const rows = () => table.querySelectorAll("[data-attributes-row]");
    const add = table.querySelector("[data-attributes-add]");

    const show = () => table.querySelectorAll("button").forEach((button) => { button.hidden = false; });

    add.addEventListener("click", () => {
      const row = rows()[0].cloneNode(true);
      row.querySelectorAll("input").forEach((input) => { input.value = ""; input.removeAttribute("id"); });
      add.before(row);
      row.querySelector("input").focus();
    });

    table.addEventListener("click", (event) => {
      const remove = event.target.closest("[data-attributes-remove]");
      if (!remove) return;
      const row = remove.closest("[data-attributes-row]");
      const neighbour = row.previousElementSibling || row.nextElementSibling;
      if (rows().length > 1) row.remove();
      else row.querySelectorAll("input").forEach((input) => { input.value = ""; });
      (neighbour.querySelector("input") || neighbour).focus();
    });

    show();
  }
});
