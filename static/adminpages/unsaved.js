// Asks before a half-filled form is left. Every form of a page that is posted has it by admin/base.html, and what needs
// no question says so: a draft saves itself. A form tells with "form-leaving" that a script of its own has saved it.
"use strict";

{
  const FREE = "#changelist-form, [data-leaves-freely]"; // Ticked rows are no work, and #writing is asked below.
  const UNCOUNTED = "[type=hidden], [type=submit], [type=button], [type=reset], [autocomplete=current-password], [autocomplete=one-time-code]";

  const shown = new WeakMap(); // The values of a form when somebody came to it.

  function valuesOf(form) {
    const fields = [...form.elements].filter((field) => field.name && !field.matches(UNCOUNTED));
    return JSON.stringify(
      fields.map((field) => {
        if (/^(checkbox|radio)$/.test(field.type)) return field.checked;
        if (field.type === "file") return [...field.files].map((file) => file.name);
        return field.options ? [...field.selectedOptions].map((one) => one.value) : field.value;
      }),
    );
  }

  function isWatched(form) {
    return form?.method === "post" && form.closest("#main-content") && !form.matches(FREE) && !form.querySelector("#writing");
  }

  // A field comes to be changed by a key or a pointer. What scripts have filled in before that is no change.
  function noteComing({ target }) {
    const form = target.form ?? target.closest?.("form");
    if (isWatched(form) && !shown.has(form)) shown.set(form, valuesOf(form));
  }

  for (const coming of ["focusin", "pointerdown", "keydown"]) document.addEventListener(coming, noteComing, { capture: true });

  // The last to hear of it: a form that its own script sends has prevented it by then.
  addEventListener("submit", (event) => !event.defaultPrevented && shown.delete(event.target));
  document.addEventListener("form-leaving", ({ target }) => shown.delete(target));

  addEventListener("beforeunload", (event) => {
    const isChanged = (form) => shown.has(form) && shown.get(form) !== valuesOf(form);
    if ([...document.forms].some(isChanged)) event.preventDefault();
  });
}
