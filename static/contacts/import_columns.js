// The page of columns: asks for the kind of new attributes alone, marks the consent as required where there is a list,
// keeps what is typed for a reload, and says when a trial run is out of date.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form[data-keep]");
  if (!form) return;

  form.querySelectorAll("[data-new-targets]").forEach((cell) => {
    const kind = cell.querySelector("[data-kind]");
    const target = cell.querySelector("select");
    const news = cell.dataset.newTargets.split(" ");
    const show = () => { if (kind) kind.hidden = !news.includes(target.value); };
    target.addEventListener("change", show);
    show();
  });

  const consent = form.elements.consent;
  const mark = () => {
    const hasList = form.elements.new_list.value.trim() || form.querySelector("[name=lists]:checked");
    consent.setAttribute("aria-required", hasList ? "true" : "false");
  };
  form.addEventListener("input", mark);
  mark();

  let isLeaving = false;
  let timer = 0;
  const keep = () => {
    timer = 0;
    const typed = new FormData(form);
    typed.set("keep", "1");
    // Kept as a help: if it fails, the page works as before.
    fetch(window.location.pathname, { method: "POST", body: typed, keepalive: true }).catch(() => {});
  };
  const changed = (event) => {
    const stale = form.querySelector("[data-stale]");
    if (stale && event.target.name !== "consent" && event.target.name !== "new_list") stale.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(keep, 300);
  };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("submit", () => { isLeaving = true; clearTimeout(timer); });
  window.addEventListener("pagehide", () => { if (timer && !isLeaving) keep(); });
});
