// The large view.

/** The input in the large view. */
let shown = null;

const largeParts = {
  what: large.querySelector("header .what"),
  name: large.querySelector("header .name"),
  space: large.querySelector(".picture"),
  picture: large.querySelector(".picture img"),
  mark: large.querySelector(".mark"),
  back: large.querySelector(".back"),
  forth: large.querySelector(".forth"),
  strip: large.querySelector(".strip-space"),
};

function openLarge(input) {
  closeStrip();
  shown = input;
  const strip = input.strip(() => {});
  largeParts.strip.append(strip);
  large.style.setProperty("--width", input.width);
  large.style.setProperty("--height", input.height);
  if (!large.open) large.showModal();
  input.refresh();
  strip.querySelector(".current .tile").focus();
}

function closeStrip() {
  if (!shown) return;
  const own = largeParts.strip.firstElementChild;
  shown.strips = shown.strips.filter(({ list }) => list !== own);
  own?.remove();
}

function refreshLarge() {
  const label = shown.label(shown.current);
  largeParts.what.textContent = label;
  largeParts.name.textContent = shown.name;
  fitLarge();
  setPicture(largeParts.picture, shown.images[shown.current].url, `${label}, ${shown.name}`);
  showMark(largeParts.mark, shown);
  largeParts.back.disabled = shown.current === 0;
  largeParts.forth.disabled = shown.current === shown.reachable - 1;
  largeParts.strip.querySelector(".current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/**
 * Makes the image as large as the window allows. Small images are enlarged by an integer factor, so that all their pixels
 * have the same size.
 */
function fitLarge() {
  const { clientWidth, clientHeight } = largeParts.space;
  let factor = Math.min(clientWidth / shown.width, clientHeight / shown.height);
  if (Math.max(shown.width, shown.height) <= SMALL_IMAGE && factor > 2) factor = Math.floor(factor);
  largeParts.picture.style.width = `${Math.floor(factor * shown.width)}px`;
  largeParts.picture.style.height = `${Math.floor(factor * shown.height)}px`;
}

large.addEventListener("close", () => {
  const input = shown;
  closeStrip();
  shown = null;
  input?.refresh();
  input?.strips[0].tiles[input.current].tile.focus();
});
large.addEventListener("click", (event) => {
  if (event.target === large || event.target === largeParts.space) large.close();
});
large.querySelector(".close").addEventListener("click", () => large.close());
large.querySelector(".save").addEventListener("click", () => shown.save(shown.current));
largeParts.mark.addEventListener("click", () => shown.mark(shown.current));
largeParts.back.addEventListener("click", () => shown.step(-1));
largeParts.forth.addEventListener("click", () => shown.step(1));
followSwipe(largeParts.picture, () => shown);
addEventListener("resize", () => shown && fitLarge());

