// Counts the people of the chosen lists and segments while a campaign is edited. The form works without this script.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const about = document.querySelector("[data-audience-url]");
  if (!about) return;
  const url = about.dataset.audienceUrl;
  const names = ["lists", "segments", "consent_lists", "excluded_lists", "excluded_segments"];
  const form = about.closest("form");
  const boxes = () => names.flatMap((name) => [...form.querySelectorAll(`input[type=checkbox][name=${name}]`)]);
  const rowOf = (name) => form.querySelector(`.field-${name}`);

  const total = document.createElement("p");
  total.className = "campaign-audience";
  total.setAttribute("role", "status");
  rowOf("excluded_segments")?.after(total);
  let timer = null;
  let asking = null;

  const showConsent = () => {
    const row = rowOf("consent_lists");
    if (row) row.hidden = !form.querySelector("input[name=segments]:checked");
  };

  const ask = async () => {
    asking?.abort();
    asking = new AbortController();
    const body = new FormData();
    for (const box of boxes()) if (box.checked) body.append(box.name, box.value);
    total.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(url, {
        method: "POST",
        body,
        headers: { Accept: "application/json", "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value },
        signal: asking.signal,
      });
      if (response.redirected || !response.ok) throw new Error(response.statusText);
      const found = await response.json();
      show(found);
      if (found.is_counting) {
        // A worker is counting; ask again until it has finished.
        clearTimeout(timer);
        timer = setTimeout(ask, 2000);
        return;
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      total.textContent = about.dataset.saysUncounted;
    }
    total.removeAttribute("aria-busy");
  };

  const show = (found) => {
    total.textContent = found.sentence;
    for (const box of boxes()) {
      if (!box.name.endsWith("segments")) continue;
      const label = box.closest("label") || form.querySelector(`label[for="${box.id}"]`);
      if (!label) continue;
      label.querySelector(".campaign-brings")?.remove();
      if (box.checked && found.segments[box.value]) {
        const words = document.createElement("span");
        words.className = "campaign-brings";
        words.textContent = ` – ${found.segments[box.value]}`;
        label.append(words);
      }
    }
  };

  form.addEventListener("change", (event) => {
    if (!names.includes(event.target.name)) return;
    showConsent();
    clearTimeout(timer);
    timer = setTimeout(ask, 400);
  });
  showConsent();
  ask();
});
