"""Files that `scaseg export` puts beside a checkpoint of another library; they import no scaseg."""
