// Shows the choices only for the kind choice, and proposes a name from the label. Without it both fields are plain.
document.addEventListener("DOMContentLoaded", () => {
  const kind = document.querySelector("select[name=kind]");
  const choices = document.querySelector("textarea[name=choices]");
  if (!kind || !choices) return;
  const row = choices.closest(".field-choices") || choices.closest(".form-row") || choices.parentElement;
  const show = () => { row.hidden = kind.value !== "choice"; };
  kind.addEventListener("change", show);
  show();

  const label = document.querySelector("input[name=label]");
  const name = document.querySelector("input[name=name]");
  if (!label || !name || name.value) return;
  let isOwn = false;
  name.addEventListener("input", () => { isOwn = name.value !== ""; });
  label.addEventListener("input", () => {
    if (isOwn) return;
    const plain = label.value.replace(/ß/g, "ss").normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
    name.value = plain.replace(/[^a-z0-9]+/g, "_").replace(/^[_0-9]+|_+$/g, "").slice(0, 64);
  });
});
