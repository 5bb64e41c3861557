// An input, with its stage and its strips of images.

const title = document.querySelector("h1").textContent;
const large = document.getElementById("large");
const startsTouch = (event) => event.pointerType === "touch" || event.pointerType === "pen";

/** The longest side of images that are enlarged without smoothing. Larger images are smoothed. */
const SMALL_IMAGE = 128;

/** Few tiles are drawn wider, so that they fill two rows next to the stage. */
const TILES = [{ most: 8, width: "10rem" }, { most: 10, width: "8.25rem" }];

/** The distance in pixels that a finger moves from one sample to the next. */
const SWIPE = 28;

/**
 * An input: the image that is shown, and the elements that show it. Image 0 is the conditioning. The samples follow, and
 * then the truths.
 */
class Input {
  /** The input that keys act on: the one last pointed at or focused. */
  static active = null;

  constructor(outline, index) {
    Object.assign(this, outline, { index, images: null, revealed: false, current: this.first(outline) });
    this.count = 1 + this.samples + this.truths;
    this.strips = [];
    this.build();
  }

  first({ samples }) {
    return samples > 0 ? 1 : 0;
  }

  /** The number of images that can be browsed. Hidden truths are not counted. */
  get reachable() {
    return this.revealed ? this.count : 1 + this.samples;
  }

  isSample(image) {
    return image >= 1 && image <= this.samples;
  }

  label(image) {
    if (image === 0) return "Input";
    if (this.isSample(image)) return `Sample ${image} of ${this.samples}`;
    return this.truths === 1 ? "Truth" : `Truth ${image - this.samples} of ${this.truths}`;
  }

  shortLabel(image) {
    if (image === 0) return "Input";
    if (this.isSample(image)) return `${image}`;
    return this.truths === 1 ? "Truth" : `Truth ${image - this.samples}`;
  }

  fileName(image) {
    const kind = image === 0 ? "input" : this.isSample(image) ? `sample-${image}` : `truth-${image - this.samples}`;
    return `${fileName(title, this.name, kind)}.png`;
  }

  build() {
    this.section = document.getElementById("input").content.cloneNode(true).firstElementChild;
    const find = (selector) => this.section.querySelector(selector);
    const heading = find("h2");
    heading.textContent = this.name;
    heading.id = `input-${this.index}`;
    this.section.setAttribute("aria-labelledby", heading.id);
    this.section.style.setProperty("--width", this.width);
    this.section.style.setProperty("--height", this.height);
    this.section.classList.toggle("small", Math.max(this.width, this.height) <= SMALL_IMAGE);
    const roomy = TILES.find(({ most }) => this.count <= most);
    if (roomy) this.section.style.setProperty("--roomy", roomy.width);
    this.stage = {
      picture: find(".stage .picture img"),
      caption: find(".caption"),
      mark: find(".under .mark"),
      save: find(".under .save"),
    };
    find(".strip-space").replaceWith(this.strip(() => this.enlarge()));
    this.reveal = find(".reveal");
    this.reveal.hidden = this.truths === 0;
    this.reveal.addEventListener("click", () => this.setRevealed(!this.revealed));
    this.stage.mark.addEventListener("click", () => this.mark(this.current));
    this.stage.save.addEventListener("click", () => this.save(this.current));
    const stage = find(".stage .picture");
    stage.addEventListener("click", () => this.enlarge());
    followSwipe(stage, () => this);
    for (const event of ["pointerenter", "focusin"]) {
      this.section.addEventListener(event, () => (Input.active = this));
    }
  }

  /** Creates a row of all images. `chosen` is called when an image is clicked. */
  strip(chosen) {
    const list = document.createElement("ul");
    list.className = "strip";
    list.setAttribute("aria-label", `Images of ${this.name}`);
    const tiles = Array.from({ length: this.count }, (_, image) => {
      const item = document.getElementById("tile").content.cloneNode(true).firstElementChild;
      const [tile, mark] = item.querySelectorAll("button");
      item.dataset.image = image;
      item.querySelector(".label").textContent = this.shortLabel(image);
      item.querySelector("img").alt = "";
      tile.setAttribute("aria-label", this.label(image));
      // When the large view closes, it returns the focus to the tile that opened it.
      const usable = () => !shown || large.contains(tile);
      tile.addEventListener("focus", () => usable() && this.show(image));
      tile.addEventListener("pointerenter", (event) => !startsTouch(event) && usable() && this.show(image));
      let touched = false;
      tile.addEventListener("pointerdown", (event) => (touched = startsTouch(event)));
      tile.addEventListener("click", (event) => {
        this.show(image);
        if (!touched || event.detail === 0) chosen();
      });
      if (this.isSample(image)) mark.addEventListener("click", () => this.mark(image));
      else mark.remove();
      list.append(item);
      return { item, tile, picture: item.querySelector("img"), mark };
    });
    // A finger that slides over the tiles shows one image after the other.
    list.addEventListener("pointermove", (event) => {
      if (!startsTouch(event)) return;
      const item = document.elementFromPoint(event.clientX, event.clientY)?.closest("li");
      if (item?.parentElement === list) this.show(Number(item.dataset.image));
    });
    this.strips.push({ list, tiles });
    return list;
  }

  /** Decodes the images on the first call. */
  load() {
    if (this.images) return;
    this.images = readImages(this.index);
    this.refresh();
  }

  refresh() {
    for (const { tiles } of this.strips) {
      tiles.forEach(({ item, tile, picture, mark }, image) => {
        item.hidden = image >= this.reachable;
        item.classList.toggle("current", image === this.current);
        tile.tabIndex = image === this.current ? 0 : -1;
        const marked = this.isSample(image) && favorites.has(this.index, image);
        item.classList.toggle("marked", marked);
        tile.setAttribute("aria-label", this.label(image) + (marked ? ", favorite" : ""));
        if (image === this.current) tile.setAttribute("aria-current", "true");
        else tile.removeAttribute("aria-current");
        if (this.isSample(image)) mark.title = marked ? "Not a favorite" : "Favorite";
        if (this.images && !item.hidden && !picture.src) {
          picture.src = this.images[image].url;
          whenSized(picture);
        }
      });
    }
    const label = this.label(this.current);
    this.stage.caption.textContent = label;
    showMark(this.stage.mark, this);
    this.reveal.setAttribute("aria-pressed", this.revealed);
    const truth = this.truths === 1 ? "truth" : "truths";
    this.reveal.textContent = this.revealed ? `Hide the ${truth}` : `Show the ${truth}`;
    if (this.images) setPicture(this.stage.picture, this.images[this.current].url, `${label}, ${this.name}`);
    if (shown === this) refreshLarge();
  }

  show(image) {
    if (image < 0 || image >= this.reachable) return;
    Input.active = this;
    if (image === this.current) return;
    this.current = image;
    this.refresh();
  }

  /** Moves forward by `by` images, and moves the keyboard focus too if it is in a strip. */
  step(by) {
    this.show(Math.min(Math.max(this.current + by, 0), this.reachable - 1));
    const strip = this.strips.find(({ list }) => list.contains(document.activeElement));
    strip?.tiles[this.current].tile.focus({ preventScroll: false });
  }

  mark(image) {
    if (!this.isSample(image)) return;
    favorites.toggle(this.index, image);
    this.refresh();
    countFavorites();
    const marked = favorites.has(this.index, image);
    announce(`${this.label(image)} of ${this.name} is ${marked ? "a favorite" : "no longer a favorite"}`);
  }

  save(image) {
    this.load();
    download(this.images[image].file, this.fileName(image));
  }

  setRevealed(revealed) {
    if (this.truths === 0) return;
    const before = this.current;
    this.revealed = revealed;
    if (revealed && Input.active === this) {
      this.current = 1 + this.samples;
      this.beforeTruth = before;
    }
    // Repeated requests alternate between the truth and the sample shown before.
    if (this.current >= this.reachable) this.current = this.beforeTruth ?? this.first(this);
    this.refresh();
    showRevealed();
  }

  enlarge() {
    this.load();
    openLarge(this);
  }
}

// The images.

/** Shows `url` at once, because its tile has already loaded it or is loading it. */
function setPicture(picture, url, alt) {
  if (picture.src !== url) picture.src = url;
  picture.alt = alt;
  whenSized(picture);
}

/** Marks an image that is enlarged without smoothing, once its size is known. */
function whenSized(picture) {
  const mark = () => {
    const longer = Math.max(picture.naturalWidth, picture.naturalHeight);
    picture.classList.toggle("squares", longer <= SMALL_IMAGE && picture.clientWidth > picture.naturalWidth);
  };
  if (picture.complete && picture.naturalWidth > 0) mark();
  else picture.addEventListener("load", mark, { once: true });
}

function showMark(button, input) {
  button.disabled = !input.isSample(input.current);
  button.setAttribute("aria-pressed", favorites.has(input.index, input.current));
}

/** Lets a finger that moves sideways over `element` browse the images. The event at the end is then not a click. */
function followSwipe(element, input) {
  let from = null;
  let swiped = false;
  element.addEventListener("pointerdown", (event) => {
    from = startsTouch(event) ? event.clientX : null;
    swiped = false;
  });
  element.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const steps = Math.trunc((event.clientX - from) / SWIPE);
    if (steps === 0) return;
    from += steps * SWIPE;
    swiped = true;
    input().step(steps);
  });
  for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => (from = null));
  element.addEventListener("click", (event) => {
    if (swiped) event.stopImmediatePropagation();
    swiped = false;
  }, { capture: true });
}

