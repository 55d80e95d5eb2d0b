// The table of contents follows the reading; what is folded opens for paper.
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      const link = links.get(entry.target.querySelector("h2").id);
      link?.setAttribute("aria-current", "true");
      link?.closest("ol").scrollTo({ left: link.offsetLeft - 32 }); // on a phone they are a row that is too long
    }
  },
  { rootMargin: "-10% 0px -75% 0px" },
);
document.querySelectorAll("main > section").forEach((section) => seen.observe(section));

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((item) => { item.open = true; });
});
addEventListener("afterprint", () => folded.forEach((item) => { item.open = false; }));
