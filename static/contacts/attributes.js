// Adds and removes rows of custom attributes. Without it the form shows two empty rows per visit.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("[data-attributes]")) {
    const rows = () => table.querySelectorAll("[data-attributes-row]");
    const add = table.querySelector("[data-attributes-add]");

    const show = () => table.querySelectorAll("button").forEach((button) => { button.hidden = false; });

    const addRow = () => {
      const row = rows()[0].cloneNode(true);
      row.querySelectorAll("input").forEach((input) => { input.value = ""; input.removeAttribute("id"); });
      add.before(row);
      return row;
    };

    const changed = () => table.dispatchEvent(new Event("change", { bubbles: true }));

    add.addEventListener("click", () => addRow().querySelector("input").focus());

    // The form brings back what was typed before.
    table.closest("form")?.addEventListener("form-restoring", (event) => {
      const typed = event.detail[rows()[0].querySelector("input").name] ?? [];
      while (rows().length < typed.length) addRow();
    });

    table.addEventListener("click", (event) => {
      const remove = event.target.closest("[data-attributes-remove]");
      if (!remove) return;
      const row = remove.closest("[data-attributes-row]");
      const neighbour = row.previousElementSibling || row.nextElementSibling;
      if (rows().length > 1) row.remove();
      else row.querySelectorAll("input").forEach((input) => { input.value = ""; });
      (neighbour.querySelector("input") || neighbour).focus();
      changed();
    });

    show();
  }
});
