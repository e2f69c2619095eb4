// Alpine data for unfold's templates, in the build without 'unsafe-eval': it takes no statements and knows only what is
// registered here. Also keyboard access to elements that unfold makes for the mouse only.
"use strict";

document.addEventListener("alpine:init", () => {
  for (const component of [theme, searchForm, searchCommand]) {
    Alpine.data(component.name, component);
  }

  Alpine.data("searchDropdown", () => ({
    ...searchDropdown(),
    open() {
      this.openSearchResults = true;
      this.currentIndex = 0;
    },
    leave() {
      this.openSearchResults = false;
      if (this.$refs.searchInput.value === "") this.$refs.searchInput.blur();
      else this.$refs.searchInput.value = "";
    },
  }));

  // The menu of the person: the keyboard goes into it, and Escape leads back to its button.
  Alpine.data("userMenu", () => ({
    isOpen: false,
    toggle() {
      this.isOpen = !this.isOpen;
      if (this.isOpen) this.$nextTick(() => this.$refs.menu.querySelector("a, button")?.focus());
    },
    fold() {
      this.isOpen = false;
    },
    goBack(event) {
      if (!this.isOpen) return;
      event.stopPropagation();
      this.isOpen = false;
      this.$refs.opener.focus();
    },
    leave({ relatedTarget }) {
      if (relatedTarget && !this.$root.contains(relatedTarget)) this.isOpen = false;
    },
  }));

  // The filters of a list cover it: the keyboard goes into them, stays there, and Escape or a button leads back.
  Alpine.data("filterDrawer", () => ({
    init() {
      this.$watch("filterOpen", (isOpen) => this.$nextTick(() => (isOpen ? this.$refs.close : filtersOpener())?.focus()));
    },
    fold() {
      this.filterOpen = false;
    },
    stay(event) {
      const inside = [...this.$root.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")];
      const shown = inside.filter((each) => each.checkVisibility() && !each.disabled && each.tabIndex >= 0);
      const [from, to] = event.shiftKey ? [shown.at(0), shown.at(-1)] : [shown.at(-1), shown.at(0)];
      if (event.target !== from) return;
      event.preventDefault();
      to.focus();
    },
  }));

  // The body of each page: the open tab, and the state of the sidebar.
  Alpine.data("page", (firstTab = "") => ({
    activeTab: firstTab,
    sidebarMobileOpen: false,
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    // Wrapped: this build exposes no window functions, and a page may have defined its own.
    moveRecords: (event) => window.moveRecords(event),
    sortRecords: (event) => window.sortRecords(event),
    init() {
      this.activeTab = (firstTab && getCurrentTab()) || firstTab;
      this.$watch("sidebarMobileOpen", (isOpen) => this.$nextTick(() => this.followSidebar(isOpen)));
      document.addEventListener("keydown", ({ key }) => key === "Escape" && (this.sidebarMobileOpen = false));
      this.$watch("sidebarDesktopOpen", (isOpen) => localStorage.setItem("sidebarDesktopOpen", isOpen ? "1" : "0"));
    },
    // On a phone the sidebar covers the page: the keyboard goes into it, and back to the button that opened it.
    followSidebar(isOpen) {
      document.querySelector(isOpen ? "#nav-sidebar [x-on\\:click^=sidebarMobileOpen]" : "#sidebar-opener")?.focus();
    },
    formAction() {
      const here = window.location.pathname + window.location.search;
      return this.activeTab && this.activeTab !== "general" ? `${here}#${this.activeTab}` : here;
    },
  }));
});

function filtersOpener() {
  return document.querySelector("[x-on\\:click='filterOpen = true']");
}

// unfold's menus and switches are elements without keyboard access.
const MOUSE_ONLY = "[x-on\\:click]:not([aria-hidden], a[href], button, input, select, summary, label)";

// What has no words but an icon, and how it is called instead.
const NAMES = {
  "#nav-sidebar [x-on\\:click='sidebarMobileOpen = !sidebarMobileOpen']": "Close sidebar",
  "#searchbar-submit, #command-submit": "Search",
  "#search-input-command, #searchbar": "Search",
  "[x-on\\:click='openTheme = !openTheme']": "Theme",
  "[x-on\\:click='openTabsDropdown = !openTabsDropdown']": "More tabs",
  "[x-on\\:click='showActions = !showActions']": "Actions",
  "[x-on\\:click^='openActionsId']": "Actions of this row",
  "[x-on\\:click='showPassword = !showPassword']": "Show password",
  ".related-widget-wrapper [x-on\\:click^='openRelatedWidgetWrapper =']": "Add or change entries",
};

function makeAccessible(root) {
  for (const element of root.querySelectorAll(MOUSE_ONLY)) {
    element.tabIndex = 0;
    element.setAttribute("role", "button");
  }
  for (const [selector, name] of Object.entries(NAMES)) {
    for (const element of root.querySelectorAll(selector)) element.setAttribute("aria-label", name);
  }
  for (const field of root.querySelectorAll("td[data-label] :is(input, select, textarea)")) {
    if (!field.labels?.length && !field.ariaLabel) field.ariaLabel = field.closest("td").dataset.label;
  }
  // Django's sign for a filter has a name, but no role that may have one.
  for (const sign of root.querySelectorAll(".search-label-icon")) sign.setAttribute("role", "img");
  // The name of an icon is text, which would be read out.
  for (const icon of root.querySelectorAll(".material-symbols-outlined:not([role])")) icon.ariaHidden = "true";
  for (const select of root.querySelectorAll("select.select2-hidden-accessible")) {
    nameSearch(select, select.nextElementSibling.querySelector(".select2-search__field"));
  }
}

// Select2 gives its search box no name: it takes the one of its field.
function nameSearch(select, box) {
  if (box) box.ariaLabel = select.labels[0]?.textContent.trim() || "Search";
}

document.addEventListener("focusin", ({ target }) => {
  const open = target.matches(".select2-dropdown .select2-search__field") && document.querySelector("select + .select2-container--open");
  if (open) nameSearch(open.previousElementSibling, target);
});

document.addEventListener("alpine:initialized", () => makeAccessible(document));
// Select2 comes after Alpine, when jQuery says that the page is ready.
window.addEventListener("load", () => window.django?.jQuery?.(() => makeAccessible(document)));
document.addEventListener("htmx:load", (event) => makeAccessible(event.target));
document.addEventListener("formset:added", (event) => makeAccessible(event.target));

document.addEventListener("keydown", (event) => {
  if ((event.key === "Enter" || event.key === " ") && event.target.matches(MOUSE_ONLY)) {
    event.preventDefault();
    event.target.click();
  }
});

// The open tab of the place may be out of sight on a phone, and arrows show at which sides more tabs are. The fonts
// decide how wide the tabs are.
window.addEventListener("load", async () => {
  await document.fonts.ready;
  const tabs = document.querySelector(".place-tabs");
  if (!tabs) return;
  const mark = () => {
    tabs.classList.toggle("more-before", tabs.scrollLeft > 4);
    tabs.classList.toggle("more-after", tabs.scrollLeft + tabs.clientWidth < tabs.scrollWidth - 4);
  };
  tabs.addEventListener("scroll", mark, { passive: true });
  window.addEventListener("resize", mark);
  tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  mark();
});

// Alpine shows the page only after this event, and the browser has focused nothing that was hidden.
document.addEventListener("alpine:initialized", () => setTimeout(() => document.querySelector("[autofocus]")?.focus()));

// Copies of what was typed, which adminpages/form.js keeps: whoever signs out leaves none, and nobody gets those of
// another user. A session that ended by itself leaves them, for the same user's next sign-in.
function dropCopies(isKept = () => false) {
  for (const key of Object.keys(localStorage)) if (key.startsWith("unsaved:") && !isKept(key)) localStorage.removeItem(key);
}

document.addEventListener("DOMContentLoaded", () => {
  const { user } = document.body.dataset;
  if (user) dropCopies((key) => key.startsWith(`unsaved:${user}:`));
});

document.addEventListener("submit", ({ target }) => {
  if (!new URL(target.action, location).pathname.endsWith("/logout/")) return;
  document.dispatchEvent(new Event("signed-out")); // A form on this page.
  localStorage.setItem("signed-out", Date.now()); // Forms in other tabs.
  dropCopies();
});
