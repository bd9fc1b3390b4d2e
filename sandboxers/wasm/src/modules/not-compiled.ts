/** A module that cannot be compiled here and now: it is run as it is. */
export { NotMade as NotCompiled, TooLarge } from "@kuasar/framework/store/sealed-files";
