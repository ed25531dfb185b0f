(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);

  // The viewer: every frame of the video beside the page, or, without it, the pictures in the page; and a divider between
  // camera and segmentation.
  const stage = document.querySelector(".stage"), frames = data.frames;
  if (stage && data.pictures.length) {
    const [belowImage, aboveImage] = stage.querySelectorAll("img"), panes = stage.querySelectorAll("canvas");
    const above = stage.querySelector(".top"), handle = stage.querySelector(".handle");
    const range = document.querySelector(".controls input"), button = document.querySelector(".controls .play");
    const output = document.querySelector(".controls output");
    let timer = null, video = null, shown = data.pictures.map((picture) => picture.index);
    const divide = (percent) => {
      const at = Math.min(100, Math.max(0, percent));
      above.style.clipPath = `inset(0 0 0 ${at}%)`;
      handle.style.left = `${at}%`;
      handle.setAttribute("aria-valuenow", Math.round(at));
    };
    const words = (index) => {
      const lines = frames.text[Math.floor(index / frames.every)].split("\n");
      return index % frames.every ? `frame ${index}` : lines.join(" \u00b7 ");
    };
    const show = (place) => {
      range.value = place;
      const index = shown[Number(range.value)];
      output.textContent = words(index);
      range.setAttribute("aria-valuetext", `frame ${index}`);
      if (video) {
        video.currentTime = (Number(range.value) + 0.5) / data.video.rate;
      } else {
        const picture = data.pictures[Number(range.value)];
        belowImage.src = picture.frame;
        aboveImage.src = picture.overlay;
      }
    };
    const step = (by) => show((Number(range.value) + by + shown.length) % shown.length);
    const play = (on) => {
      clearInterval(timer);
      timer = on ? setInterval(() => step(1), video ? 1000 / Math.min(15, data.video.rate) : 450) : null;
      button.textContent = on ? "\u275a\u275a" : "\u25b6";
      button.setAttribute("aria-label", on ? "Pause" : "Play");
    };
    const point = (event) => {
      const box = stage.getBoundingClientRect();
      divide((event.clientX - box.left) / box.width * 100);
    };
    stage.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" || event.buttons) point(event); });
    stage.addEventListener("pointerdown", point);
    handle.addEventListener("keydown", (event) => {
      const now = Number(handle.getAttribute("aria-valuenow"));
      const to = { ArrowLeft: now - 5, ArrowDown: now - 5, ArrowRight: now + 5, ArrowUp: now + 5, Home: 0, End: 100 }[event.key];
      if (to === undefined) return;
      divide(to);
      event.preventDefault();
    });
    range.addEventListener("input", () => { play(false); show(Number(range.value)); });
    button.addEventListener("click", () => play(timer === null));
    for (const stepper of document.querySelectorAll(".controls .step")) {
      stepper.addEventListener("click", () => { play(false); step(Number(stepper.dataset.by)); });
    }
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !",.".includes(event.key)) return;
      play(false);
      step(event.key === "," ? -1 : 1);
    });
    range.max = shown.length - 1;
    divide(50);
    show(Math.floor(shown.length / 3));

    // The video has both pictures of a frame side by side.
    const film = data.video && document.createElement("video");
    if (film) {
      film.muted = true;
      film.preload = "auto";
      film.addEventListener("seeked", () => {
        const width = film.videoWidth / 2, height = film.videoHeight;
        panes.forEach((pane, side) => {
          Object.assign(pane, { width, height });
          pane.getContext("2d").drawImage(film, side * width, 0, width, height, 0, 0, width, height);
        });
        stage.classList.add("stepping");
      });
      film.addEventListener("loadedmetadata", () => {
        const now = shown[Number(range.value)], lost = new Set(data.video.lost);
        shown = [...Array(data.video.frames).keys()].filter((index) => !lost.has(index));
        range.max = shown.length - 1;
        video = film;
        show(Math.max(0, shown.indexOf(now)));
      });
      film.addEventListener("error", () => { video = null; });
      film.src = data.video.src;
    }
  }

  // One pointer line through all charts over time, and one tip with everything known about the nearest frame.
  const charts = [...document.querySelectorAll(".time svg:first-child")], tip = document.getElementById("tip");
  if (charts.length && frames.t.length > 1) {
    const first = frames.t[0], last = frames.t[frames.t.length - 1];
    const lines = charts.map((chart) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      line.setAttribute("class", "pointer");
      line.style.display = "none";
      chart.appendChild(line);
      return line;
    });
    const nearest = (time) => {
      let low = 0, high = frames.t.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (frames.t[middle] < time) low = middle; else high = middle;
      }
      return time - frames.t[low] < frames.t[high] - time ? low : high;
    };
    const hide = () => { lines.forEach((line) => { line.style.display = "none"; }); tip.style.opacity = 0; };
    for (const chart of charts) {
      chart.parentElement.addEventListener("pointerleave", hide);
      chart.parentElement.addEventListener("pointermove", (event) => {
        const box = chart.getBoundingClientRect();
        const time = first + (event.clientX - box.left) / box.width * (last - first);
        const index = nearest(Math.min(last, Math.max(first, time)));
        const share = (frames.t[index] - first) / (last - first);
        charts.forEach((other, i) => {
          const { width, height } = other.viewBox.baseVal;
          lines[i].setAttribute("d", `M${share * width} 0V${height}`);
          lines[i].style.display = "";
        });
        tip.textContent = frames.text[index];
        tip.style.opacity = 1;
        const beside = event.clientX + 18 + tip.offsetWidth > innerWidth ? -18 - tip.offsetWidth : 18;
        tip.style.left = `${event.clientX + beside}px`;
        tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
      });
    }
  }
})();
