// The page.

favorites.load();
const inputs = readJson("outlines").map((outline, index) => new Input(outline, index));
Input.active = inputs[0];
document.getElementById("inputs").append(...inputs.map(({ section }) => section));

const nearView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    nearView.unobserve(target);
    inputs.find(({ section }) => section === target).load();
  }
}, { rootMargin: "100% 0px" });
for (const input of inputs) {
  input.refresh();
  nearView.observe(input.section);
}

const revealAll = document.getElementById("reveal-all");
revealAll.hidden = inputs.every(({ truths }) => truths === 0);
revealAll.addEventListener("click", () => {
  const reveal = revealAll.getAttribute("aria-pressed") !== "true";
  Input.active = null;
  for (const input of inputs) input.setRevealed(reveal);
});

function showRevealed() {
  const all = inputs.every(({ truths, revealed }) => truths === 0 || revealed);
  revealAll.setAttribute("aria-pressed", all);
  revealAll.textContent = all ? "Hide all truths" : "Show all truths";
}

const saveAll = document.getElementById("save-all");
saveAll.addEventListener("click", async () => {
  const entries = inputs.flatMap((input) => {
    const marked = Array.from({ length: input.samples }, (_, k) => k + 1)
      .filter((image) => favorites.has(input.index, image));
    if (marked.length > 0) input.load();
    return marked.map((image) => ({ name: input.fileName(image), file: input.images[image].file }));
  });
  if (entries.length === 1) download(entries[0].file, entries[0].name);
  else if (entries.length > 1) download(await zip(distinct(entries)), `${fileName(title, "favorites")}.zip`);
});

/** Numbers entries with the same name. */
function distinct(entries) {
  const counts = new Map();
  return entries.map(({ name, file }) => {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return { name: count === 1 ? name : name.replace(/\.png$/, `-${count}.png`), file };
  });
}

function countFavorites() {
  const count = inputs.reduce((sum, { index, samples }) => {
    return sum + Array.from({ length: samples }, (_, k) => favorites.has(index, k + 1)).filter(Boolean).length;
  }, 0);
  saveAll.disabled = count === 0;
  saveAll.querySelector("span").textContent =
    count === 0 ? "Save favorites" : count === 1 ? "Save 1 favorite" : `Save ${count} favorites`;
}
countFavorites();

function announce(text) {
  document.getElementById("announcement").textContent = text;
}

const keys = {
  ArrowLeft: (input) => input.step(-1),
  ArrowRight: (input) => input.step(1),
  Home: (input) => input.step(-Infinity),
  End: (input) => input.step(Infinity),
  f: (input) => input.mark(input.current),
  s: (input) => input.save(input.current),
  t: (input) => input.setRevealed(!input.revealed),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const input = shown ?? Input.active;
  const inStrip = shown || event.target.closest?.(".strip");
  if (!input || !keys[key] || ((key === "Home" || key === "End") && !inStrip)) return;
  event.preventDefault();
  keys[key](input);
});
