// The preview beside the editor: shows the saved draft for a chosen person, on desktop, phone, in dark mode or as text.
"use strict";

class Beside {
  constructor(form, panel) {
    this.panel = panel;
    this.frame = panel.querySelector("iframe");
    this.box = panel.querySelector(".writing-frame");
    this.facts = document.getElementById("writing-facts");
    this.dark = panel.querySelector("[data-dark]");
    this.chosen = new URLSearchParams();
    panel.hidden = false;
    this.frame.addEventListener("load", () => this.settle());
    for (const button of panel.querySelectorAll("[data-show]")) button.addEventListener("click", () => this.show(button));
    this.dark.addEventListener("click", () => {
      const isOn = this.dark.getAttribute("aria-pressed") !== "true";
      this.dark.setAttribute("aria-pressed", String(isOn));
      this.load();
      this.explain();
    });
    this.facts.addEventListener("change", (event) => {
      if (!event.target.matches("[data-server]")) return;
      this.chosen.set("server", event.target.value);
      this.load();
    });
    this.people();
    this.tabs();
    form.addEventListener("draft-saved", () => this.load());
    this.load();
  }

  async load() {
    const query = new URLSearchParams(this.chosen);
    query.set("beside", "1");
    if (this.dark.getAttribute("aria-pressed") === "true") query.set("dark", "1");
    this.top = this.frame.contentDocument?.scrollingElement?.scrollTop ?? 0;
    this.frame.contentWindow?.location.replace(`${this.panel.dataset.html}?${query}`);
    try {
      const response = await fetch(`${this.panel.dataset.facts}?${query}`);
      if (!response.ok || response.redirected) return;
      const isOpen = this.facts.querySelector(".look-links")?.open;
      const isFocused = this.facts.querySelector("[data-server]") === document.activeElement;
      this.facts.innerHTML = await response.text();
      const links = this.facts.querySelector(".look-links");
      if (links && isOpen !== undefined) links.open = isOpen;
      if (isFocused) this.facts.querySelector("[data-server]")?.focus();
      for (const part of ["text", "source"]) {
        this.panel.querySelector(`[data-part="${part}"]`).textContent =
          this.facts.querySelector(`[data-${part}]`)?.textContent || this.panel.dataset.saysEmpty;
      }
      this.explain();
    } catch {
      // The status beside the tabs already shows that the connection is lost.
    }
  }

  settle() {
    const page = this.frame.contentDocument?.scrollingElement;
    if (page && this.top) page.scrollTop = this.top;
  }

  explain() {
    const note = this.facts.querySelector("[data-dark-note]");
    if (note) note.hidden = this.dark.getAttribute("aria-pressed") !== "true";
  }

  show(chosen) {
    this.box.dataset.show = chosen.dataset.show;
    for (const button of this.panel.querySelectorAll("[data-show]")) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
  }

  people() {
    const input = document.getElementById("writing-contact");
    const list = document.getElementById("writing-found");
    if (!input) return;
    const nobody = this.panel.querySelector("[data-nobody]");
    const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); };
    const choose = (id, words) => {
      id ? this.chosen.set("contact", id) : this.chosen.delete("contact");
      nobody.setAttribute("aria-pressed", String(id === "nobody"));
      input.value = words;
      close();
      this.load();
    };
    let timer;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      if (!input.value.trim()) { choose("", ""); return; }
      timer = setTimeout(async () => {
        const response = await fetch(`${this.panel.dataset.contacts}?${new URLSearchParams({ q: input.value })}`);
        const { found } = await response.json();
        list.replaceChildren(...found.map((one) => {
          const item = document.createElement("li");
          const button = document.createElement("button");
          button.type = "button";
          button.setAttribute("role", "option");
          button.textContent = one.name ? `${one.email} (${one.name})` : one.email;
          button.addEventListener("click", () => { choose(one.id, one.email); input.focus(); });
          item.append(button);
          return item;
        }));
        if (!found.length) {
          const item = document.createElement("li");
          item.textContent = this.panel.dataset.saysNobody;
          list.append(item);
        }
        list.hidden = false;
        input.setAttribute("aria-expanded", "true");
      }, 250);
    });
    this.panel.querySelector(".writing-who").addEventListener("keydown", (event) => {
      const options = [...list.querySelectorAll("button")];
      const at = options.indexOf(document.activeElement);
      if (event.key === "Escape") { close(); input.focus(); }
      if (event.key === "ArrowDown" && options.length && !list.hidden) { event.preventDefault(); options[Math.min(at + 1, options.length - 1)].focus(); }
      if (event.key === "ArrowUp" && at >= 0) { event.preventDefault(); (options[at - 1] || input).focus(); }
      if (event.key === "Enter" && event.target === input) event.preventDefault();
    });
    nobody.addEventListener("click", () => {
      const isOn = nobody.getAttribute("aria-pressed") === "true";
      choose(isOn ? "" : "nobody", "");
    });
  }

  tabs() {
    const tabs = document.getElementById("writing-tabs");
    if (!tabs) return;
    tabs.hidden = false;
    const main = document.getElementById("content-main");
    main.dataset.tab = "write";
    for (const button of tabs.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        main.dataset.tab = button.dataset.tab;
        for (const other of tabs.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
      });
    }
  }
}

addEventListener("load", () => {
  const form = document.getElementById("campaign_form");
  const panel = document.getElementById("writing-beside");
  if (form && panel) new Beside(form, panel);
});
