(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);

  // The viewer: a slider over the pictures, and a divider between the frame and its overlay.
  const stage = document.querySelector(".stage");
  if (stage && data.pictures.length) {
    const below = stage.querySelector(".below"), above = stage.querySelector(".top");
    const aboveImage = above.querySelector("img"), handle = stage.querySelector(".handle");
    const range = document.querySelector(".controls input"), button = document.querySelector(".controls button");
    const output = document.querySelector(".controls output");
    let timer = null;
    const divide = (share) => {
      above.style.clipPath = `inset(0 0 0 ${share * 100}%)`;
      handle.style.left = `${share * 100}%`;
    };
    const show = (index) => {
      const picture = data.pictures[index];
      below.src = picture.frame;
      aboveImage.src = picture.overlay;
      output.textContent = picture.caption;
      range.value = index;
    };
    const play = (on) => {
      clearInterval(timer);
      timer = on ? setInterval(() => show((Number(range.value) + 1) % data.pictures.length), 450) : null;
      button.textContent = on ? "\u275a\u275a" : "\u25b6";
      button.setAttribute("aria-label", on ? "Pause" : "Play");
    };
    const point = (event) => {
      const box = stage.getBoundingClientRect();
      divide(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
    };
    stage.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" || event.buttons) point(event); });
    stage.addEventListener("pointerdown", point);
    range.addEventListener("input", () => { play(false); show(Number(range.value)); });
    button.addEventListener("click", () => play(timer === null));
    divide(0.5);
    show(Math.floor(data.pictures.length / 3));
  }

  // One pointer line through all charts over time, and one tip with everything known about the nearest frame.
  const charts = [...document.querySelectorAll("svg.time")], frames = data.frames, tip = document.getElementById("tip");
  if (charts.length && frames.t.length > 1) {
    const first = frames.t[0], last = frames.t[frames.t.length - 1];
    const lines = charts.map((chart) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      line.setAttribute("class", "pointer");
      line.setAttribute("y1", 0);
      line.setAttribute("y2", chart.viewBox.baseVal.height);
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
      chart.addEventListener("pointerleave", hide);
      chart.addEventListener("pointermove", (event) => {
        const box = chart.getBoundingClientRect(), width = chart.viewBox.baseVal.width;
        const left = Number(chart.dataset.left), right = Number(chart.dataset.right);
        const x = (event.clientX - box.left) / box.width * width;
        const time = first + (x - left) / (right - left) * (last - first);
        const index = nearest(Math.min(last, Math.max(first, time)));
        const share = (frames.t[index] - first) / (last - first);
        charts.forEach((other, i) => {
          const l = Number(other.dataset.left), r = Number(other.dataset.right), at = l + share * (r - l);
          lines[i].setAttribute("x1", at);
          lines[i].setAttribute("x2", at);
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
