'use strict';
// Pieces of the page come with the id of their place, and replace what is there. Nothing is sent but the request for them.
const SCROLLED = '.wide, .picture';
const REACHED = 'a, ' + SCROLLED;
const lost = document.getElementById('lost');
const told = document.getElementById('told');
const title = document.title;
let late = 0;

function found() {
  clearTimeout(late);
  late = 0;
  lost.hidden = true;
}

// What is wider than the screen can be scrolled by keys, in every browser.
function reach(place) {
  for (const one of place.querySelectorAll(SCROLLED)) {
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
    else one.removeAttribute('tabindex');
  }
}

// Whoever has scrolled a table or moved to a link is left where they are.
function replace(place, html) {
  const lefts = [...place.querySelectorAll(SCROLLED)].map((one) => one.scrollLeft);
  const focused = [...place.querySelectorAll(REACHED)].indexOf(document.activeElement);
  place.innerHTML = html;
  reach(place);
  place.querySelectorAll(SCROLLED).forEach((one, n) => { one.scrollLeft = lefts[n] || 0; });
  if (focused >= 0) place.querySelectorAll(REACHED)[focused]?.focus({ preventScroll: true });
}

// The verdict, without the numbers below it, for the list of tabs and for whoever has it read out.
function tell() {
  const verdict = document.querySelector('#verdict .verdict strong');
  if (!verdict) return;
  document.title = title + ': ' + verdict.textContent;
  if (told.textContent !== verdict.textContent) told.textContent = verdict.textContent;
}

function follow() {
  const events = new EventSource('events');
  events.onopen = found;
  events.addEventListener('piece', (event) => {
    const end = event.data.indexOf('\n');
    const place = document.getElementById(event.data.slice(0, end));
    if (place) replace(place, event.data.slice(end + 1));
    tell();
  });
  events.addEventListener('over', () => {
    events.close();
    found();
  });
  events.onerror = () => {
    late = late || setTimeout(() => { lost.hidden = false; }, 3000);
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  };
}

addEventListener('resize', () => reach(document));
reach(document);
tell();
follow();
