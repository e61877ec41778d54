/** What a person does who works here; a mouse also moves when somebody passes the desk. */
const SIGNS = ['keydown', 'pointerdown', 'wheel'];

/** Tells that somebody works in this page, but not each time. */
export class Presence {
  /**
   * @param tell - called for a sign, if the last call was long enough ago
   * @param pause - seconds between two calls now; null: nobody wants to know
   * @param clock - seconds since the epoch
   */
  constructor(
    private readonly tell: () => void,
    private readonly pause: () => number | null,
    private readonly clock: () => number
  ) {}

  /** Watch a page. */
  watch(page: EventTarget): void {
    for (const sign of SIGNS) {
      page.addEventListener(sign, this.notice, {
        capture: true,
        passive: true
      });
    }
  }

  private readonly notice = (): void => {
    const pause = this.pause();
    const now = this.clock();
    if (pause !== null && now - this.last >= pause) {
      this.last = now;
      this.tell();
    }
  };

  private last = 0;
}
